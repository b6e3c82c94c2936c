"""TensorFlow below Keras: graphs, tapes and data sets."""
