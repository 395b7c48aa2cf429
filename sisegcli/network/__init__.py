"""The network, pure `torch.nn`: backbones, DFM and CBR, and the builder that reads a checkpoint."""
