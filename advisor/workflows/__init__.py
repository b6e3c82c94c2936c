"""What the commands do: functions that take values, run the steps in order and return a value. Nothing here prints."""
