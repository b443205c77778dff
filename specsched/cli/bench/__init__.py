"""`specsched bench …`: what is claimed, measured on this machine. One file per benchmark; `app.py` lists them."""
