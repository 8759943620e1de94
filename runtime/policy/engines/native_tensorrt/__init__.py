"""TensorRT itself: for Jetson images, which ship its Python module, and wherever no fitting ONNX Runtime is."""
