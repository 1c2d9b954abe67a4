"""Energy and tariffs: pure, values in, values out."""
