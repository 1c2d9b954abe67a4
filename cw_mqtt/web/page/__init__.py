"""The pages that people look at: what the house uses, and what it costs."""
