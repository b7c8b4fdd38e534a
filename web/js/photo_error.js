// What cannot be coloured: the message names the file, the reason and the cure

export class PhotoError extends Error {
  /**
   * @param {string} name of the file
   * @param {string} reason in words, with a cure
   */
  constructor(name, reason) { super(`${name}: ${reason}`) }
}
