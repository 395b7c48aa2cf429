"""Networks as files of other engines: ONNX, OpenVINO and TorchScript."""
