"""What a media file really is: type by content, size, duration, dimensions."""
