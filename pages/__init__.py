"""The screens, one file each; the file name is the URL path."""
