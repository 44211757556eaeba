"""The rehearsal: the complete deployment on an emulated AWS, on one Linux machine."""
