import tempfile

while True:
    tempfile.mkstemp()
