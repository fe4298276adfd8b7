"""Repeatable side-by-side measurements of the chat against two plain Streamlit programs."""
