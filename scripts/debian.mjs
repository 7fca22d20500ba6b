import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'

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

/**
 * Unpacks a Debian package into a folder, without installing it: nothing of the machine changes, and no service starts.
 * Says what it does, and why. False where that is not possible or fails.
 */
export function unpackDebianPackage (name, folder, reason) {
  if (!existsSync('/usr/bin/apt-get')) return false
  console.log(`${reason} Unpacking Debian's ${name} …`)
  mkdirSync(folder, { recursive: true })
  const run = (command, args) => spawnSync(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  const download = () => run('apt-get', ['download', '-q', name]).status === 0
  const prefix = rootPrefix()
  const update = () => prefix !== null &&
    run([...prefix, 'apt-get'][0], [...[...prefix, 'apt-get'].slice(1), 'update', '-q']).status === 0
  if (!download() && !(update() && download())) return false
  const file = readdirSync(folder).find(file => file.startsWith(`${name}_`) && file.endsWith('.deb'))
  return file !== undefined && run('dpkg', ['-x', file, '.']).status === 0
}
