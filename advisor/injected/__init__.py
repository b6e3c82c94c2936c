"""Code that runs inside the user's own interpreter (Python 3.8+, standard library only); see README.md here."""
