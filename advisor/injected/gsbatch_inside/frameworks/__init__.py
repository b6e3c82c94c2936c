"""What is known of each framework: its dry run and its epochs side by side."""
