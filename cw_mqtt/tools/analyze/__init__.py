"""What is made of packets and streams, in words: `cw-mqtt decode` and `analyze`."""
