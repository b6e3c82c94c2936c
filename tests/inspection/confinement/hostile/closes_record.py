import os
import threading

os.closerange(3, 256)
threading.Event().wait(3600)
