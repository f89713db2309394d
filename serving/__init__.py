"""From sessions to lists: the ONNX rescorer, Redis, HTTP and the storefront."""
