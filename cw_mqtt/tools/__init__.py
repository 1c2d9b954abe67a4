"""What only the command line needs: the demo, captures, and explaining what is heard."""
