"""Data to training to evaluation to an ONNX bundle. torch lives here and nowhere else."""
