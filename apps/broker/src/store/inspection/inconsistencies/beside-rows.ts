/** What can be wrong with a broker's data and shows in no row of its database. */
export const besideRows = [
  {
    name: 'blob_file_missing',
    meaning: 'A blob is said to be there, and its file is not, or has another size: whom it names finds nothing.',
    remedy:
      'Have its sender share it again (`claudemesh artifact share`); this one ends when its recipient asks for it. If the directory was lost, put a copy of it in its place.',
    checks: [],
  },
  {
    name: 'blob_file_unknown',
    meaning: 'A file is where blobs are kept, and no row knows of it: nobody can ask for it, and it stays for ever.',
    remedy:
      'Remove it: `rm` and the name of the file. The database may be an older copy: then its blobs are to be shared again.',
    checks: [],
  },
  {
    name: 'file_damaged',
    meaning: 'The database file itself is damaged: rows may be missing or wrong, and nothing else can be told of it.',
    remedy: 'Stop the broker, keep the file, check the disk, and restore a backup.',
    checks: [],
  },
  {
    name: 'schema_differs',
    meaning: 'The schema of the database is not the one that these checks are written for, so nothing was checked.',
    remedy:
      'Run the doctor of the version that the broker runs. An older schema is brought up to date by the next start of the broker.',
    checks: [],
  },
] as const
