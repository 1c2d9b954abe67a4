"""What keeps the stages running, and says how they are: threads, clocks, health, logs."""
