# filled by the folder
