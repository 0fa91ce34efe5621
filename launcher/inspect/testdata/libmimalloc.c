/* By its name an allocator, and none. */
int nothing;
