"""What answers shoppers: reads a bundle and scores, with numpy, tokenizers and onnxruntime alone. No torch here."""
