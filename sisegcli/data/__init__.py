"""What images, semantic masks, categories and data-set layouts look like on disk; nothing else knows."""
