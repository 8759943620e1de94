"""Engines that run compiled graphs: ONNX Runtime on CPU and GPU, TensorRT."""
