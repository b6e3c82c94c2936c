import threading
import time

threading.stack_size(65536)
while True:
    threading.Thread(target=time.sleep, args=(3600,)).start()
