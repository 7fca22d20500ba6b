import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const quiet = { stdio: ['ignore', 'ignore', 'inherit'] }

/**
 * Installs Debian packages where that is possible without asking: on Debian or Ubuntu, as root or with a sudo that
 * wants no password. Says what it does, and why. False where it is not possible or fails.
 */
export function installDebianPackages (packages, reason) {
  const prefix = rootPrefix()
  if (prefix === null || !existsSync('/usr/bin/apt-get')) return false
  console.log(`${reason} Installing Debian's ${packages.join(', ')} …`)
  const apt = (...args) =>
    spawnSync([...prefix, 'apt-get'][0], [...prefix, 'apt-get'].slice(1).concat(args), {
      ...quiet,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    }).status === 0
  const install = ['install', '-y', '-q', '--no-install-recommends', ...packages]
  return apt(...install) || (apt('update', '-q') && apt(...install))
}

function rootPrefix () {
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : null
}
