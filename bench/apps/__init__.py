"""The two Streamlit programs the playground is measured against."""
