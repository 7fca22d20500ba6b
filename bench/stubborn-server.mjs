/* The tiny server, which neither the end of its input nor SIGTERM ends. */
import './tiny-server.mjs'

setInterval(() => {}, 1_000)
process.on('SIGTERM', () => {})
