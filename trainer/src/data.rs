//! People in folders of images, and batches made of them.
