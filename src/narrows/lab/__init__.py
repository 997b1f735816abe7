"""The laboratory: networks, training and export. PyTorch lives here and nowhere else in narrows."""
