"""The judge: simulated sensors, attackers and cables, and what the bridge makes of them."""
