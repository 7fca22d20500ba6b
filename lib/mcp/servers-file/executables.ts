import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

const acceptAny = () => true

/**
 * The first executable of that name on `path` that `accepts` takes, or `null`. Relative folders on `path` are passed
 * over.
 */
export function findExecutable (
  name: string, path: string, accepts: (path: string) => boolean = acceptAny
): string | null {
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
    return false // missing or not executable: a search treats both alike
  }
}

export const isFile = (path: string) => stat(path)?.isFile() ?? false
export const isDirectory = (path: string) => stat(path)?.isDirectory() ?? false

function stat (path: string) {
  try {
    return statSync(path)
  } catch {
    return undefined // missing, or in a folder that we may not enter
  }
}
