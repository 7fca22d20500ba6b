import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** The first executable of that name on `path` that `accepts` takes, or `null`. Relative folders on `path` are passed over. */
export function findExecutable (name: string, path: string, accepts: (path: string) => boolean = () => true): string | null {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name)
    if (isAbsolute(candidate) && isExecutable(candidate) && accepts(candidate)) return candidate
  }
  return null
}

export function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return isFile(path)
  } catch {
    return false // not there or not executable: for the caller of a search both are "no"
  }
}

export const isFile = (path: string) => stat(path)?.isFile() ?? false
export const isDirectory = (path: string) => stat(path)?.isDirectory() ?? false

function stat (path: string) {
  try {
    return statSync(path)
  } catch {
    return undefined // missing, or in a folder we may not enter: not there for us
  }
}
