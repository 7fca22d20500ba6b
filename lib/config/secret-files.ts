import { ConfigError } from '../errors.ts'
import { isSet, valueFromFile } from '../secret-file.ts'
import { secretNames } from './environment.ts'

type Variables = Readonly<Record<string, string | undefined>>

/**
 * The environment with the secrets that `<NAME>_FILE` names files for, under their own names. Does not modify its
 * input.
 *
 * Throws ConfigError for a variable that is set in both ways, and for a file that holds no value.
 */
export function readSecretFiles (environment: Variables): Variables {
  const read: Record<string, string> = {}
  const faults: string[] = []
  for (const name of secretNames) {
    const found = valueFromFile(name, environment)
    if (found === null) continue
    if (isSet(name, environment)) faults.push(`${name} and ${name}_FILE are both set: keep the one that is meant`)
    else if ('fault' in found) faults.push(found.fault)
    else read[name] = found.value
  }
  if (faults.length > 0) throw new ConfigError(faults.join('; '))
  return { ...environment, ...read }
}
