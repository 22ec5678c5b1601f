/**
 * Bytes in an object's database from which on it takes nothing new. The platform takes 10 GB; what is
 * behind this is kept for the ends of what runs and for the deletion.
 */
export const FULL_BYTES = 9_500_000_000;
