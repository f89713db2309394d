"""What endcap's model is measured against, each as strong as its own options allow."""
