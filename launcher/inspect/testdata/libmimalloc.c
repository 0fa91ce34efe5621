/* Has the name of an allocator but does not define malloc. */
int nothing;
