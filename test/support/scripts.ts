import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { root } from './paths.ts'

/** Runs a script to its end, by its path below scripts/, and gives its exit code and what it wrote. */
export function runScript (
  name: string,
  args: string[] = [],
  env: Record<string, string> = {}
): Promise<{ code: number | string; output: string }> {
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [join(root, 'scripts', name), ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? 'killed'), output: stdout + stderr })
      }
    )
  })
}
