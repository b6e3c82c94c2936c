"""Inside the job: samples and epochs to a Trace; reading traces back."""
