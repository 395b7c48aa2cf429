"""The network, pure `torch.nn`: backbones, DFM and CBR, membership, and the reader of checkpoints."""
