// For `node --import`: every application that a server of this process gets is validated.
import { validator, WSGIServer } from '../../dist/index.js';

const { setApp } = WSGIServer.prototype;

WSGIServer.prototype.setApp = function setValidatedApp(application) {
  setApp.call(this, validator(application));
};
