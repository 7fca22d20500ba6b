import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { digestOf, filesIn, root, stop } from './environment.mjs'

/**
 * What is compiled or copied. Every other name of the project's folder is linked, so that paths are the same in a
 * build.
 */
const built = new Set(['app.ts', 'plugins', 'routes', 'lib', 'test'])
const isIgnored = name => /^(dist-test|dist\..*|\.git|\.data|\.tap|coverage)$/.test(name)
const builds = join(root, 'dist-test')
/** No run takes longer, so a build that was not used for this long is in use by none. */
const unusedMs = 3_600_000

/**
 * Builds the tests, with the service that they test, unless that was done, and returns the build's folder.
 *
 * A build's name is the digest of its sources, and it is complete when it has its name. So no run meets a half build,
 * or one that has a deleted file, and runs at the same time do not disturb each other. Types are checked by `npm run
 * typecheck`.
 */
export function buildTests () {
  const sources = readSources()
  const links = readdirSync(root).filter(name => !built.has(name) && !isIgnored(name))
  const folder = join(builds, digestOf([sources, links]))
  if (!existsSync(folder)) {
    console.log('Building the tests …')
    const previous = newestBuild()
    if (previous !== null) touch(previous)
    const unfinished = `${folder}.${process.pid}`
    compile(sources, unfinished, previous)
    for (const name of links) symlinkSync(join(root, name), join(unfinished, name))
    publish(unfinished, folder)
  }
  touch(folder)
  removeUnused()
  return folder
}

/** Notes that a build is in use. */
function touch (folder) {
  const now = new Date()
  utimesSync(folder, now, now)
}

/** Sources by name, each with the digest of what its output is made from. */
function readSources () {
  const files = [...built].flatMap(name => (name.endsWith('.ts') ? [name] : filesIn(name))).sort()
  const compiler = ['tsconfig.json', 'package.json', 'scripts/test-build.mjs'].map(name =>
    readFileSync(join(root, name))
  )
  return files.map(file => ({ file, digest: digestOf([...compiler, readFileSync(join(root, file))]) }))
}

/** An output that the previous build has is linked from there: a build after one change compiles one file. */
function compile (sources, folder, previous) {
  const known =
    previous === null ? new Map() : new Map(readManifest(previous).map(({ file, digest }) => [file, digest]))
  const changed = sources.filter(({ file, digest }) => known.get(file) !== digest)
  const folders = new Set(sources.map(({ file }) => dirname(file)))
  for (const name of folders) mkdirSync(join(folder, name), { recursive: true })
  for (const { file } of sources.filter(source => !changed.includes(source))) {
    for (const output of outputsOf(file)) linkSync(join(previous, output), join(folder, output))
  }
  const transpile = changed.some(({ file }) => file.endsWith('.ts')) ? createTranspiler() : null
  for (const { file } of changed) {
    if (file.endsWith('.ts')) transpile(file, folder)
    else copyFileSync(join(root, file), join(folder, file))
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(sources))
}

const outputsOf = file => (file.endsWith('.ts') ? [jsName(file), `${jsName(file)}.map`] : [file])
const jsName = file => file.replace(/\.ts$/, '.js')
const readManifest = folder => JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))

function createTranspiler () {
  const ts = createRequire(import.meta.url)('typescript')
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  // NodeNext would look into package.json, which a single file does not have.
  const esm = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }
  const host = { getCanonicalFileName: name => name, getCurrentDirectory: () => root, getNewLine: () => '\n' }
  return (file, folder) => {
    const path = join(root, file)
    const { outputText, sourceMapText, diagnostics } = ts.transpileModule(readFileSync(path, 'utf8'), {
      // The map names the source where it is, for stack traces and coverage.
      fileName: path,
      compilerOptions: { ...options, ...esm, sourceRoot: root },
      reportDiagnostics: true
    })
    if (diagnostics.length > 0) stop(ts.formatDiagnostics(diagnostics, host))
    writeFileSync(join(folder, jsName(file)), outputText)
    writeFileSync(join(folder, `${jsName(file)}.map`), sourceMapText)
  }
}

/** Gives a build its name, in one step. Another run may have made the same build meanwhile. */
function publish (unfinished, folder) {
  try {
    renameSync(unfinished, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
    rmSync(unfinished, { recursive: true })
  }
}

const allBuilds = () => (existsSync(builds) ? readdirSync(builds).map(name => join(builds, name)) : [])
const usedAt = folder => statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0

/** `null` when there is none. An unfinished build has a dot in its name. */
function newestBuild () {
  const finished = allBuilds().filter(folder => !/\.\d+$/.test(folder) && existsSync(join(folder, 'manifest.json')))
  return finished.sort((one, other) => usedAt(other) - usedAt(one))[0] ?? null
}

function removeUnused () {
  for (const folder of allBuilds()) {
    if (usedAt(folder) < Date.now() - unusedMs) rmSync(folder, { recursive: true, force: true })
  }
}
