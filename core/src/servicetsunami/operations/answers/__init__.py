"""What is answered from tables: previews, pages of results, and whole results as files."""
