import tempfile

held = []
while True:
    held.append(tempfile.TemporaryFile())  # deleted as soon as it is opened
    held[-1].write(b"x" * (1 << 20))
    held[-1].flush()
