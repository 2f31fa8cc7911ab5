"""A bundle, verified and scored: numpy, tokenizers and onnxruntime."""
