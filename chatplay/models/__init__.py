"""Model servers: which there are, how they are, what their models can take."""
