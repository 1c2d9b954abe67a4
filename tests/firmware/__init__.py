"""The sketches, compiled as the Arduino IDE does and executed on simulated boards."""
