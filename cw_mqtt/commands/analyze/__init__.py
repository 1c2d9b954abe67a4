"""`cw-mqtt analyze`: what a receiver hears, and what is wrong."""
